# What wakes somebody, and what that somebody looks at first.

locals {
  topics = concat(var.alarm_topic_arns, aws_sns_topic.this[*].arn)

  # Of the queues, where something takes from them.
  queue_alarms = var.dead_name == null || !contains(keys(var.functions), "index") ? {} : {
    dead = {
      says   = "What the index function could not handle lies in the dead queue: read its reason, mend it, send it back"
      metric = "ApproximateNumberOfMessagesVisible", queue = var.dead_name, above = 0
    }
    age = {
      says   = "New segments wait to be indexed: is the index function failing or throttled?"
      metric = "ApproximateAgeOfOldestMessage", queue = var.queue_name, above = var.queue_age_seconds
    }
  }

  # Of the archive, as the sweep sees it. Without a sweep there is nothing to say.
  swept = contains(keys(var.functions), "sweep")
  archive_alarms = { for name, alarm in {
    lag = {
      says   = "The archive of a node ends too long ago, or nobody sweeps: is the node down, or cut off from its archive?"
      metric = "WindowEndAgeSeconds", above = var.lag_seconds, missing = "breaching"
    }
    gaps = {
      says   = "A range of LSNs is missing in the archive: what lies in it cannot be restored"
      metric = "Gaps", above = 0, missing = "ignore"
    }
    unindexed = {
      says   = "Segments have no index although the sweep looks after them"
      metric = "Unindexed", above = var.unindexed, missing = "ignore"
    }
    foreign = {
      says   = "Objects lie in the archive that nodedb did not put there"
      metric = "Foreign", above = 0, missing = "ignore"
    }
    failed = {
      says   = "A sweep found objects that are damaged, writers or epochs that collide, a restore that differs, or could not do its work"
      metric = "Failed", above = 0, missing = "ignore"
    }
  } : name => alarm if local.swept && (name != "lag" || var.lag_seconds > 0) }
}

resource "aws_sns_topic" "this" {
  count             = length(var.alarm_emails) > 0 ? 1 : 0
  name              = "${var.name}-alarms"
  kms_master_key_id = var.topic_kms_key_id
  tags              = var.tags
}

resource "aws_sns_topic_subscription" "email" {
  for_each  = var.alarm_emails
  topic_arn = aws_sns_topic.this[0].arn
  protocol  = "email"
  endpoint  = each.value
}

resource "aws_cloudwatch_metric_alarm" "queue" {
  for_each            = local.queue_alarms
  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.says
  namespace           = "AWS/SQS"
  metric_name         = each.value.metric
  dimensions          = { QueueName = each.value.queue }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.above
  treat_missing_data  = "notBreaching" # an idle queue reports nothing
  alarm_actions       = local.topics
  ok_actions          = local.topics
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "archive" {
  for_each            = local.archive_alarms
  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.says
  namespace           = "nodedb"
  metric_name         = each.value.metric
  dimensions          = var.metric_dimensions
  statistic           = "Maximum"
  period              = var.sweep_period_seconds
  evaluation_periods  = 2
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.above
  treat_missing_data  = each.value.missing
  alarm_actions       = local.topics
  ok_actions          = local.topics
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "errors" {
  for_each            = var.functions
  alarm_name          = "${var.name}-${each.key}-errors"
  alarm_description   = "The ${each.key} function ends with errors: see its log"
  namespace           = "AWS/Lambda"
  metric_name         = "Errors"
  dimensions          = { FunctionName = each.value }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 3
  datapoints_to_alarm = 2 # one error is tried again
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.topics
  ok_actions          = local.topics
  tags                = var.tags
}

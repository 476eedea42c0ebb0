# Alarms and the dashboard.

mock_provider "aws" {
  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-central-1:123456789012:shop-alarms" }
  }
}

variables {
  name       = "shop"
  place      = { partition = "aws", region = "eu-central-1", account_id = "123456789012" }
  functions  = { index = "shop-index", sweep = "shop-sweep" }
  queue_name = "shop-segments"
  dead_name  = "shop-dead"

  metric_dimensions = { Function = "sweep", Archive = "example-shop-archive/team" }
}

run "alarms" {
  command = plan

  module {
    source = "./modules/observability"
  }

  variables {
    alarm_topic_arns = ["arn:aws:sns:eu-central-1:123456789012:ops"]
  }

  assert {
    condition     = output.alarm_names == sort([for n in ["dead", "age", "lag", "gaps", "unindexed", "foreign", "failed", "index-errors", "sweep-errors"] : "shop-${n}"])
    error_message = "there is an alarm for each thing that somebody must look at"
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.queue["dead"].threshold == 0 && aws_cloudwatch_metric_alarm.queue["dead"].dimensions == tomap({ QueueName = "shop-dead" }) && aws_cloudwatch_metric_alarm.queue["age"].dimensions == tomap({ QueueName = "shop-segments" })
    error_message = "one dead message is one too many"
  }

  assert {
    condition     = { for n, a in aws_cloudwatch_metric_alarm.archive : n => a.metric_name } == { lag = "WindowEndAgeSeconds", gaps = "Gaps", unindexed = "Unindexed", foreign = "Foreign", failed = "Failed" } && alltrue([for a in aws_cloudwatch_metric_alarm.archive : a.namespace == "nodedb" && a.dimensions == tomap({ Function = "sweep", Archive = "example-shop-archive/team" })])
    error_message = "the archive's metrics are those of its own sweep"
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.archive["lag"].treat_missing_data == "breaching"
    error_message = "a sweep that does not run is an alarm"
  }

  assert {
    condition     = alltrue([for a in aws_cloudwatch_metric_alarm.archive : a.alarm_actions == toset(["arn:aws:sns:eu-central-1:123456789012:ops"])])
    error_message = "alarms go where they are sent"
  }

  assert {
    condition     = alltrue([for m in ["WindowEndAgeSeconds", "Gaps", "Unindexed", "Foreign", "Failed", "ApproximateAgeOfOldestMessage", "shop-dead", "shop-sweep"] : strcontains(aws_cloudwatch_dashboard.this[0].dashboard_body, m)])
    error_message = "the dashboard shows what alarms are about"
  }
}

run "bucket_alone" {
  command = plan

  module {
    source = "./modules/observability"
  }

  variables {
    functions  = {}
    queue_name = null
    dead_name  = null
  }

  assert {
    condition     = length(output.alarm_names) == 0
    error_message = "what is not there raises no alarm"
  }
}

run "idle_nodes" {
  command = plan

  module {
    source = "./modules/observability"
  }

  variables {
    lag_seconds = 0
  }

  assert {
    condition     = !contains(output.alarm_names, "shop-lag")
    error_message = "nodes that may write nothing for long have no alarm of lag"
  }
}

run "emails" {
  module {
    source = "./modules/observability"
  }

  variables {
    alarm_emails = ["ops@example.com"]
  }

  assert {
    condition     = aws_sns_topic_subscription.email["ops@example.com"].protocol == "email" && contains(aws_cloudwatch_metric_alarm.errors["index"].alarm_actions, output.topic_arn)
    error_message = "addresses are told through a topic"
  }
}

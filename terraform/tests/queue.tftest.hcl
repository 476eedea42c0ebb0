# The queues, and what fills them.

mock_provider "aws" {
  mock_resource "aws_sqs_queue" {
    defaults = { arn = "arn:aws:sqs:eu-central-1:123456789012:q" }
  }
}

variables {
  name        = "shop"
  place       = { partition = "aws", region = "eu-central-1", account_id = "123456789012" }
  bucket_name = "shop-archive"
  root        = "nodedb/v1/"
}

run "notification" {
  command = plan

  module {
    source = "./modules/queue"
  }

  assert {
    condition     = { for q in aws_s3_bucket_notification.this[0].queue : q.filter_suffix => q.filter_prefix } == { ".wal.zst" = "nodedb/v1/", ".age" = "nodedb/v1/" }
    error_message = "without nodes segments are told by the end of their names"
  }

  assert {
    condition     = alltrue([for q in aws_s3_bucket_notification.this[0].queue : q.queue_arn == output.arn && q.events == toset(["s3:ObjectCreated:*"])]) && !aws_s3_bucket_notification.this[0].eventbridge
    error_message = "the queue is told of what is created"
  }

  assert {
    condition     = jsondecode(aws_sqs_queue.segments.redrive_policy) == { deadLetterTargetArn = "arn:aws:sqs:eu-central-1:123456789012:shop-dead", maxReceiveCount = 5 }
    error_message = "what fails five times is dead"
  }

  assert {
    condition     = aws_sqs_queue.dead.message_retention_seconds == 1209600 && jsondecode(aws_sqs_queue_redrive_allow_policy.dead.redrive_allow_policy).sourceQueueArns == [output.arn]
    error_message = "the dead stay as long as can be, and come from this queue alone"
  }

  assert {
    condition = anytrue([for s in jsondecode(aws_sqs_queue_policy.segments.policy).Statement :
      s.Effect == "Allow" && try(s.Principal.Service == "s3.amazonaws.com", false) && s.Action == "sqs:SendMessage" &&
    try(s.Condition.ArnEquals["aws:SourceArn"] == "arn:aws:s3:::shop-archive" && s.Condition.StringEquals["aws:SourceAccount"] == "123456789012", false)])
    error_message = "this bucket of this account may send"
  }

  assert {
    condition     = length([for s in jsondecode(aws_sqs_queue_policy.segments.policy).Statement : s if s.Effect == "Allow"]) == 1
    error_message = "and nobody else"
  }
}

run "by_node" {
  command = plan

  module {
    source = "./modules/queue"
  }

  variables {
    nodes = ["shop", "till"]
  }

  assert {
    condition     = toset([for q in aws_s3_bucket_notification.this[0].queue : q.filter_prefix]) == toset(["nodedb/v1/shop/wal/", "nodedb/v1/till/wal/"])
    error_message = "with nodes each has its own filter"
  }
}

run "many_nodes" {
  command = plan

  module {
    source = "./modules/queue"
  }

  variables {
    nodes = [for i in range(101) : "n${i}"]
  }

  assert {
    condition     = length(aws_s3_bucket_notification.this[0].queue) == 2
    error_message = "a bucket takes 100 filters"
  }
}

run "eventbridge" {
  command = plan

  module {
    source = "./modules/queue"
  }

  variables {
    event_source = "eventbridge"
  }

  assert {
    condition     = aws_s3_bucket_notification.this[0].eventbridge && length(aws_s3_bucket_notification.this[0].queue) == 0
    error_message = "the bucket tells EventBridge, not the queue"
  }

  assert {
    condition     = jsonencode(jsondecode(aws_cloudwatch_event_rule.segments[0].event_pattern).detail) == jsonencode({ bucket = { name = ["shop-archive"] }, object = { key = [{ wildcard = "nodedb/v1/*/wal/*" }] } })
    error_message = "the rule selects segments of this bucket"
  }

  assert {
    condition     = aws_cloudwatch_event_target.segments[0].arn == output.arn && length(aws_cloudwatch_event_target.segments[0].input_transformer) == 0
    error_message = "the function is given the event as it is: it knows both forms"
  }

  assert {
    condition = alltrue([for p in [aws_sqs_queue_policy.segments.policy, aws_sqs_queue_policy.dead.policy] : anytrue([for s in jsondecode(p).Statement :
    s.Effect == "Allow" && try(s.Principal.Service == "events.amazonaws.com" && s.Condition.ArnEquals["aws:SourceArn"] == "arn:aws:events:eu-central-1:123456789012:rule/shop-segments", false)])])
    error_message = "this rule may send to both queues"
  }
}

run "notified_elsewhere" {
  command = plan

  module {
    source = "./modules/queue"
  }

  variables {
    create_notification = false
  }

  assert {
    condition     = length(aws_s3_bucket_notification.this) == 0 && output.filters["plain"].suffix == ".wal.zst"
    error_message = "others' notifications are left alone, and the filters are printed"
  }
}

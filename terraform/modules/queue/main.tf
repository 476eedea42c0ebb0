# The queue of new segments, what fills it, and the queue of what could not be
# handled. A message holds an object's name, so the service's own encryption is
# enough and the bucket need not use a key.

locals {
  bucket_arn = "arn:${var.place.partition}:s3:::${var.bucket_name}"
  queue_arn  = "arn:${var.place.partition}:sqs:${var.place.region}:${var.place.account_id}:${var.name}-segments"
  dlq_arn    = "arn:${var.place.partition}:sqs:${var.place.region}:${var.place.account_id}:${var.name}-dead"
  rule_arn   = "arn:${var.place.partition}:events:${var.place.region}:${var.place.account_id}:rule/${var.name}-segments"

  # A bucket takes 100 filters. With few nodes each has one that selects segments
  # only; with more, two filters on the ends of names do, and with them come the
  # encrypted contents of bases, which the function ignores.
  by_node = length(var.nodes) > 0 && length(var.nodes) <= 100
  filters = local.by_node ? { for node in var.nodes : node => { prefix = "${var.root}${node}/wal/", suffix = null } } : {
    plain     = { prefix = var.root, suffix = ".wal.zst" }
    encrypted = { prefix = var.root, suffix = ".age" }
  }

  sender = var.event_source == "eventbridge" ? { service = "events.amazonaws.com", arn = local.rule_arn } : { service = "s3.amazonaws.com", arn = local.bucket_arn }
}

resource "aws_sqs_queue" "dead" {
  name                      = "${var.name}-dead"
  message_retention_seconds = 1209600 # 14 days, the longest there is
  sqs_managed_sse_enabled   = true
  tags                      = var.tags
}

resource "aws_sqs_queue" "segments" {
  name                       = "${var.name}-segments"
  message_retention_seconds  = var.retention_seconds
  visibility_timeout_seconds = var.visibility_timeout_seconds
  receive_wait_time_seconds  = 20
  sqs_managed_sse_enabled    = true
  tags                       = var.tags

  redrive_policy = jsonencode({
    deadLetterTargetArn = local.dlq_arn
    maxReceiveCount     = var.max_receives
  })

  depends_on = [aws_sqs_queue.dead]
}

resource "aws_sqs_queue_redrive_allow_policy" "dead" {
  queue_url = aws_sqs_queue.dead.id

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [local.queue_arn]
  })
}

resource "aws_sqs_queue_policy" "segments" {
  queue_url = aws_sqs_queue.segments.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([{
      Sid       = "OnlyEncryptedConnections"
      Effect    = "Deny"
      Principal = "*"
      Action    = "sqs:*"
      Resource  = local.queue_arn
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }], var.event_source == "none" ? [] : [{
      Sid       = "NewSegments"
      Effect    = "Allow"
      Principal = { Service = local.sender.service }
      Action    = "sqs:SendMessage"
      Resource  = local.queue_arn
      Condition = {
        ArnEquals    = { "aws:SourceArn" = local.sender.arn }
        StringEquals = { "aws:SourceAccount" = var.place.account_id }
      }
    }])
  })
}

# A bucket has one notification configuration, and this replaces all of it.
resource "aws_s3_bucket_notification" "this" {
  count       = var.create_notification && var.event_source != "none" ? 1 : 0
  bucket      = var.bucket_name
  eventbridge = var.event_source == "eventbridge"

  dynamic "queue" {
    for_each = var.event_source == "s3" ? local.filters : {}

    content {
      id            = "${var.name}-${queue.key}"
      queue_arn     = local.queue_arn
      events        = ["s3:ObjectCreated:*"]
      filter_prefix = queue.value.prefix
      filter_suffix = queue.value.suffix
    }
  }

  depends_on = [aws_sqs_queue_policy.segments] # S3 tries to send before it agrees
}

resource "aws_cloudwatch_event_rule" "segments" {
  count       = var.event_source == "eventbridge" ? 1 : 0
  name        = "${var.name}-segments"
  description = "New segments of the archive"
  tags        = var.tags

  event_pattern = jsonencode({
    source      = ["aws.s3"]
    detail-type = ["Object Created"]
    detail = {
      bucket = { name = [var.bucket_name] }
      object = { key = [{ wildcard = "${var.root}*/wal/*" }] }
    }
  })
}

resource "aws_cloudwatch_event_target" "segments" {
  count     = var.event_source == "eventbridge" ? 1 : 0
  rule      = aws_cloudwatch_event_rule.segments[0].name
  target_id = "segments"
  arn       = local.queue_arn

  dead_letter_config {
    arn = aws_sqs_queue.dead.arn
  }
}

# The rule may also put what it could not deliver where the rest of it is.
resource "aws_sqs_queue_policy" "dead" {
  queue_url = aws_sqs_queue.dead.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([{
      Sid       = "OnlyEncryptedConnections"
      Effect    = "Deny"
      Principal = "*"
      Action    = "sqs:*"
      Resource  = local.dlq_arn
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }], var.event_source != "eventbridge" ? [] : [{
      Sid       = "Undelivered"
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = local.dlq_arn
      Condition = { ArnEquals = { "aws:SourceArn" = local.rule_arn } }
    }])
  })
}

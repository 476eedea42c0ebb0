# The functions: index follows the queue, sweep and compact a schedule. Each has a
# role of its own that can do what it is for, log, and nothing else.

locals {
  functions = { for name, package in var.packages : name => package if package != null }

  settings = {
    index   = { timeout = var.index.timeout_seconds, memory = var.index.memory_mb, says = "Indexes each new segment of the archive" }
    sweep   = { timeout = var.sweep.timeout_seconds, memory = var.sweep.memory_mb, says = "Finds what is missing in the archive, and says so" }
    compact = { timeout = var.compact.timeout_seconds, memory = var.compact.memory_mb, says = "Merges small segments and small index files" }
  }

  environment = {
    index   = var.dead_url == null ? {} : { NODEDB_DEAD_QUEUE = var.dead_url }
    sweep   = {}
    compact = var.compact.delete ? { NODEDB_DELETE_SMALL = "true" } : {}
  }

  schedules = { for name, schedule in { sweep = var.sweep.schedule, compact = var.compact.schedule } :
  name => schedule if schedule != "" && contains(keys(local.functions), name) }
}

resource "aws_cloudwatch_log_group" "this" {
  for_each          = local.functions
  name              = "/aws/lambda/${var.name}-${each.key}"
  retention_in_days = var.log_retention_days
  tags              = var.tags
}

resource "aws_lambda_function" "this" {
  for_each         = local.functions
  function_name    = "${var.name}-${each.key}"
  description      = local.settings[each.key].says
  role             = aws_iam_role.function[each.key].arn
  runtime          = "provided.al2023"
  architectures    = [var.architecture]
  handler          = "bootstrap"
  filename         = each.value
  source_code_hash = filebase64sha256(each.value)
  timeout          = local.settings[each.key].timeout
  memory_size      = local.settings[each.key].memory
  layers           = lookup(var.layers, each.key, [])
  tags             = var.tags

  ephemeral_storage {
    size = each.key == "index" ? 512 : var.temporary_mb
  }

  environment {
    variables = merge({ NODEDB_ARCHIVE = var.archive_url }, local.environment[each.key], lookup(var.environment, each.key, {}))
  }

  logging_config {
    log_format = "Text" # the programs write JSON themselves, and metrics as log lines
    log_group  = aws_cloudwatch_log_group.this[each.key].name
  }

  depends_on = [aws_iam_role_policy.function]
}

resource "aws_lambda_event_source_mapping" "index" {
  count                              = contains(keys(local.functions), "index") && var.queue_arn != null ? 1 : 0
  event_source_arn                   = var.queue_arn
  function_name                      = aws_lambda_function.this["index"].arn
  batch_size                         = var.index.batch_size
  maximum_batching_window_in_seconds = var.index.batch_window_seconds
  function_response_types            = ["ReportBatchItemFailures"]
  tags                               = var.tags

  scaling_config {
    maximum_concurrency = var.index.concurrency
  }
}

resource "aws_scheduler_schedule" "this" {
  for_each            = local.schedules
  name                = "${var.name}-${each.key}"
  description         = local.settings[each.key].says
  schedule_expression = each.value

  flexible_time_window {
    mode                      = "FLEXIBLE"
    maximum_window_in_minutes = 5
  }

  target {
    arn      = aws_lambda_function.this[each.key].arn
    role_arn = aws_iam_role.scheduler[0].arn
    input    = jsonencode({ source = "schedule", function = each.key })

    retry_policy {
      maximum_retry_attempts       = 2
      maximum_event_age_in_seconds = 3600
    }
  }
}

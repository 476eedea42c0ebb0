locals {
  archive_metrics = [for metric in ["WindowEndAgeSeconds", "Gaps", "Unindexed", "Foreign", "Failed"] :
  concat(["nodedb", metric], flatten([for name, value in var.metric_dimensions : [name, value]]))]

  widgets = concat(
    [
      { title = "End of the window, seconds ago", metrics = [local.archive_metrics[0]], stat = "Maximum" },
      { title = "Gaps, unindexed, foreign, failed", metrics = slice(local.archive_metrics, 1, 5), stat = "Maximum" },
    ],
    var.dead_name == null ? [] : [
      { title = "Messages that wait, and dead ones", stat = "Maximum", metrics = [
        ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", var.queue_name],
        ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", var.dead_name],
      ] },
      { title = "Age of the oldest message, seconds", stat = "Maximum", metrics = [
        ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", var.queue_name],
      ] },
    ],
    [for metric, stat in { Duration = "p99", Errors = "Sum", Invocations = "Sum" } : {
      title                         = "${metric} of the functions", stat = stat,
      metrics                       = [for function in values(var.functions) : ["AWS/Lambda", metric, "FunctionName", function]]
    } if length(var.functions) > 0],
  )
}

resource "aws_cloudwatch_dashboard" "this" {
  count          = var.create_dashboard ? 1 : 0
  dashboard_name = var.name

  dashboard_body = jsonencode({
    widgets = [for i, widget in local.widgets : {
      type   = "metric"
      x      = i % 2 * 12
      y      = floor(i / 2) * 6
      width  = 12
      height = 6
      properties = {
        title   = widget.title
        region  = var.place.region
        view    = "timeSeries"
        stat    = widget.stat
        period  = 300
        metrics = widget.metrics
      }
    }]
  })
}

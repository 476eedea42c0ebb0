output "alarm_names" {
  description = "Names of all alarms."
  value = sort(concat(
    [for alarm in aws_cloudwatch_metric_alarm.queue : alarm.alarm_name],
    [for alarm in aws_cloudwatch_metric_alarm.archive : alarm.alarm_name],
    [for alarm in aws_cloudwatch_metric_alarm.errors : alarm.alarm_name],
  ))
}

output "topic_arn" {
  description = "The topic that was created for addresses, or null."
  value       = one(aws_sns_topic.this[*].arn)
}

output "dashboard_name" {
  description = "Name of the dashboard, or null."
  value       = one(aws_cloudwatch_dashboard.this[*].dashboard_name)
}

output "metric_dimensions" {
  description = "Dimensions of the metrics that the archive's alarms look at."
  value       = var.metric_dimensions
}

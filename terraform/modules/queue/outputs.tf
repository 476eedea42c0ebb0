output "arn" {
  description = "ARN of the queue of new segments."
  value       = local.queue_arn
}

output "url" {
  description = "URL of the queue of new segments."
  value       = aws_sqs_queue.segments.url
}

output "name" {
  description = "Name of the queue of new segments."
  value       = aws_sqs_queue.segments.name
}

output "dead_arn" {
  description = "ARN of the queue of what could not be handled."
  value       = local.dlq_arn
}

output "dead_url" {
  description = "URL of the queue of what could not be handled."
  value       = aws_sqs_queue.dead.url
}

output "dead_name" {
  description = "Name of the queue of what could not be handled."
  value       = aws_sqs_queue.dead.name
}

output "filters" {
  description = "What a notification of the bucket selects, for who sets it elsewhere."
  value       = local.filters
}

output "visibility_timeout_seconds" {
  description = "For how long a message that is being handled is not given out again."
  value       = aws_sqs_queue.segments.visibility_timeout_seconds
}

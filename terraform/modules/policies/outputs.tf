output "writer_arns" {
  description = "ARNs of the writer policies by node id, or by * for all."
  value       = { for node, policy in aws_iam_policy.writer : node => policy.arn }
}

output "reader_arn" {
  description = "ARN of the reader policy."
  value       = aws_iam_policy.reader.arn
}

output "pruner_arn" {
  description = "ARN of the pruner policy."
  value       = aws_iam_policy.pruner.arn
}

output "writer_json" {
  description = "The writer policies by node id, or by * for all."
  value       = { for node, policy in local.writer : node => jsonencode(policy) }
}

output "reader_json" {
  description = "The reader policy."
  value       = jsonencode(local.reader)
}

output "pruner_json" {
  description = "The pruner policy."
  value       = jsonencode(local.pruner)
}

output "id" {
  description = "Name of the bucket, known once it is there."
  value       = aws_s3_bucket.this.id
}

output "arn" {
  description = "ARN of the bucket."
  value       = local.bucket_arn
}

output "policy_json" {
  description = "The bucket's policy."
  value       = jsonencode(local.policy)
}

output "cooling_rules" {
  description = "Which beginning of names each cooling rule selects."
  value       = local.cooled
}

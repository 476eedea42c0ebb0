output "id" {
  description = "Name of the bucket, known once it is there."
  value       = aws_s3_bucket.this.id
}

output "cooling_rules" {
  description = "Which beginning of names each cooling rule selects."
  value       = local.cooled
}

output "database" {
  description = "Name of the database; the table is records."
  value       = aws_glue_catalog_database.this.name
}

output "workgroup" {
  description = "Name of the workgroup."
  value       = aws_athena_workgroup.this.name
}

output "results_bucket" {
  description = "Name of the bucket of results."
  value       = aws_s3_bucket.results.id
}

output "analyst_arn" {
  description = "ARN of the policy of who queries."
  value       = aws_iam_policy.analyst.arn
}

output "analyst_json" {
  description = "The policy of who queries."
  value       = jsonencode(local.analyst)
}

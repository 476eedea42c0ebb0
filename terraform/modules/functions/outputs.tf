output "names" {
  description = "Names of the functions by what they do."
  value       = { for name, function in aws_lambda_function.this : name => function.function_name }
}

output "arns" {
  description = "ARNs of the functions by what they do."
  value       = { for name, function in aws_lambda_function.this : name => function.arn }
}

output "policies_json" {
  description = "What each function's role may do."
  value       = { for name, policy in local.roles : name => jsonencode(policy) }
}

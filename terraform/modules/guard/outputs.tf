output "json" {
  description = "The policy."
  value       = jsonencode(local.policy)
}

# The key that the archive is encrypted with at rest. Whoever uses it needs its
# own grant, which modules/policies and modules/functions give: so the key's
# policy trusts the account's IAM and nobody else.

resource "aws_kms_key" "this" {
  description             = "nodedb archive ${var.name}"
  enable_key_rotation     = true
  deletion_window_in_days = 30 # a deleted key is a deleted archive: time to notice
  multi_region            = var.multi_region
  tags                    = var.tags

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "AccountDecidesByIAM"
      Effect    = "Allow"
      Principal = { AWS = "arn:${var.place.partition}:iam::${var.place.account_id}:root" }
      Action    = "kms:*"
      Resource  = "*"
    }]
  })
}

resource "aws_kms_alias" "this" {
  name          = "alias/${var.name}"
  target_key_id = aws_kms_key.this.key_id
}

# What the bucket denies to everybody, as a policy; no resources, so that a bucket
# which is made elsewhere can have it too. Only denials: grants are identity policies
# (modules/policies, modules/functions).

locals {
  bucket_arn = "arn:${var.place.partition}:s3:::${var.bucket_name}"

  policy = {
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid       = "OnlyEncryptedConnections"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [local.bucket_arn, "${local.bucket_arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        Sid       = "OnlyTLS12AndLater"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [local.bucket_arn, "${local.bucket_arn}/*"]
        Condition = { NumericLessThan = { "s3:TlsVersion" = "1.2" } }
      },
      # Every object is created with If-None-Match. Starting a multipart upload and
      # sending its parts carry no condition and create no object; completing it
      # does both. Copying on the server's side is refused as well.
      {
        Sid       = "CreateOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = "${local.bucket_arn}/${var.root}*"
        Condition = {
          Null = { "s3:if-none-match" = "true" }
          Bool = { "s3:ObjectCreationOperation" = "true" }
        }
      },
      # A create with If-Match would be an overwrite.
      {
        Sid       = "NoReplace"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = "${local.bucket_arn}/${var.root}*"
        Condition = { Null = { "s3:if-match" = "false" } }
      },
      ], length(var.deleters) == 0 ? [] : [{
        Sid       = "OnlyTheseDelete"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["s3:DeleteObject", "s3:DeleteObjectVersion"]
        Resource  = "${local.bucket_arn}/${var.root}*"
        Condition = { ArnNotLike = { "aws:PrincipalArn" = var.deleters } }
        }], var.encryption != "sse-kms" || var.kms_key_arn == null ? [] : [{
        Sid       = "NoOtherKey"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = "${local.bucket_arn}/${var.root}*"
        Condition = {
          Null            = { "s3:x-amz-server-side-encryption-aws-kms-key-id" = "false" }
          StringNotEquals = { "s3:x-amz-server-side-encryption-aws-kms-key-id" = var.kms_key_arn }
        }
    }])
  }
}

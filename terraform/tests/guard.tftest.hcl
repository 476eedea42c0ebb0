# What the bucket denies to everybody.

mock_provider "aws" {}

variables {
  place       = { partition = "aws", region = "eu-central-1", account_id = "123456789012" }
  bucket_name = "shop-archive"
  root        = "nodedb/v1/"
  kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/k"
}

run "defaults" {
  command = plan

  module {
    source = "./modules/guard"
  }

  assert {
    condition     = alltrue([for s in jsondecode(output.json).Statement : s.Effect == "Deny" && s.Principal == "*"])
    error_message = "a bucket policy that grants something opens what identity policies close"
  }

  assert {
    condition = anytrue([for s in jsondecode(output.json).Statement :
      s.Action == "s3:PutObject" && s.Resource == "arn:aws:s3:::shop-archive/nodedb/v1/*" &&
    try(s.Condition.Null["s3:if-none-match"] == "true" && s.Condition.Bool["s3:ObjectCreationOperation"] == "true" && length(keys(s.Condition)) == 2, false)])
    error_message = "a create without If-None-Match must be denied to everybody, the parts of an upload must not"
  }

  assert {
    condition = anytrue([for s in jsondecode(output.json).Statement :
    s.Action == "s3:PutObject" && try(s.Condition.Null["s3:if-match"] == "false", false)])
    error_message = "a create with If-Match is an overwrite and must be denied"
  }

  assert {
    condition = anytrue([for s in jsondecode(output.json).Statement :
    s.Action == "s3:*" && flatten([s.Resource]) == ["arn:aws:s3:::shop-archive", "arn:aws:s3:::shop-archive/*"] && try(s.Condition.Bool["aws:SecureTransport"] == "false", false)])
    error_message = "everything without TLS must be denied"
  }

  assert {
    condition     = !strcontains(output.json, "s3:DeleteObject")
    error_message = "without deleters the bucket's policy says nothing of deletions"
  }

  assert {
    condition = anytrue([for s in jsondecode(output.json).Statement :
    s.Action == "s3:PutObject" && try(s.Condition.StringNotEquals["s3:x-amz-server-side-encryption-aws-kms-key-id"] == var.kms_key_arn && s.Condition.Null["s3:x-amz-server-side-encryption-aws-kms-key-id"] == "false", false)])
    error_message = "another key is denied; naming none is not, the bucket has its own"
  }
}

run "sse_s3" {
  command = plan

  module {
    source = "./modules/guard"
  }

  variables {
    encryption  = "sse-s3"
    kms_key_arn = null
  }

  assert {
    condition     = !strcontains(output.json, "kms")
    error_message = "without a key nothing is said of keys"
  }
}

run "deleters" {
  command = plan

  module {
    source = "./modules/guard"
  }

  variables {
    deleters = ["arn:aws:iam::123456789012:role/pruner"]
  }

  assert {
    condition = anytrue([for s in jsondecode(output.json).Statement :
    contains(flatten([s.Action]), "s3:DeleteObject") && contains(flatten([s.Action]), "s3:DeleteObjectVersion") && try(s.Condition.ArnNotLike["aws:PrincipalArn"] == ["arn:aws:iam::123456789012:role/pruner"], false)])
    error_message = "all but the deleters are denied deletions"
  }
}

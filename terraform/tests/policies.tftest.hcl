# What the writer, the reader and the pruner can do, read out of their policies.

mock_provider "aws" {}

variables {
  name        = "shop"
  place       = { partition = "aws", region = "eu-central-1", account_id = "123456789012" }
  bucket_name = "shop-archive"
  root        = "prod/nodedb/v1/"
  kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/k"
}

run "writer" {
  command = plan

  module {
    source = "./modules/policies"
  }

  variables {
    nodes = ["shop", "till"]
  }

  assert {
    condition     = toset(keys(output.writer_json)) == toset(["shop", "till"]) && aws_iam_policy.writer["shop"].name == "shop-writer-shop"
    error_message = "each node has a policy of its own"
  }

  assert {
    condition     = aws_iam_policy.writer["shop"].policy == output.writer_json["shop"]
    error_message = "the policy that is created is the one that is printed"
  }

  assert {
    condition = alltrue([for s in jsondecode(output.writer_json["shop"]).Statement :
    s.Effect == "Deny" || !anytrue([for a in flatten([s.Action]) : can(regex("Delete|\\*|Retention|LegalHold|Bypass|:Put[BL]", a))])])
    error_message = "a writer is granted nothing that deletes, nothing wild, nothing that changes the bucket"
  }

  assert {
    condition = anytrue([for s in jsondecode(output.writer_json["shop"]).Statement :
    s.Effect == "Deny" && contains(flatten([s.Action]), "s3:DeleteObject") && contains(flatten([s.Action]), "s3:DeleteObjectVersion") && !can(s.Condition)])
    error_message = "deleting is denied to a writer, whatever else is attached"
  }

  assert {
    condition = anytrue([for s in jsondecode(output.writer_json["shop"]).Statement :
      s.Effect == "Deny" && s.Action == "s3:PutObject" &&
      s.Resource == "arn:aws:s3:::shop-archive/prod/nodedb/v1/*" &&
    try(s.Condition.Null["s3:if-none-match"] == "true" && s.Condition.Bool["s3:ObjectCreationOperation"] == "true" && length(keys(s.Condition)) == 2, false)])
    error_message = "a create without If-None-Match is denied to a writer, parts of an upload are not"
  }

  assert {
    condition = toset(flatten([for s in jsondecode(output.writer_json["shop"]).Statement : flatten([s.Resource]) if s.Effect == "Allow" && contains(flatten([s.Action]), "s3:PutObject")])) == toset([
    "arn:aws:s3:::shop-archive/prod/nodedb/v1/shop/*", "arn:aws:s3:::shop-archive/prod/nodedb/v1/_doctor/*"])
    error_message = "a writer creates in its own node's part, and where the doctor probes"
  }

  assert {
    condition = alltrue([for s in jsondecode(output.writer_json["shop"]).Statement :
    try(s.Condition.StringLikeIfExists["s3:prefix"], []) == ["prod/nodedb/v1/shop/*", "prod/nodedb/v1/_doctor/*", "prod/nodedb/v1/"] if contains(flatten([s.Action]), "s3:ListBucket")])
    error_message = "a writer lists its own node's part, and absent objects are told as absent (IfExists)"
  }

  assert {
    condition = anytrue([for s in jsondecode(output.writer_json["till"]).Statement :
    s.Effect == "Allow" && contains(flatten([s.Action]), "kms:GenerateDataKey") && s.Resource == var.kms_key_arn && try(s.Condition.StringEquals["kms:ViaService"] == "s3.eu-central-1.amazonaws.com", false)])
    error_message = "a writer uses the bucket's key, by way of S3 alone"
  }
}

run "writer_of_all" {
  command = plan

  module {
    source = "./modules/policies"
  }

  variables {
    kms_key_arn = null
  }

  assert {
    condition     = keys(output.writer_json) == ["*"] && aws_iam_policy.writer["*"].name == "shop-writer"
    error_message = "without nodes there is one writer policy"
  }

  assert {
    condition     = !strcontains(output.writer_json["*"], "kms:")
    error_message = "without a key there is no statement about keys"
  }

  assert {
    condition     = length(output.writer_json["*"]) < 6144
    error_message = "a managed policy has at most 6,144 characters"
  }
}

run "reader" {
  command = plan

  module {
    source = "./modules/policies"
  }

  assert {
    condition = toset(flatten([for s in jsondecode(output.reader_json).Statement : s.Action])) == toset(["s3:GetObject", "s3:GetObjectVersion", "s3:RestoreObject", "s3:ListBucket", "kms:Decrypt",
    "s3:GetBucketVersioning", "s3:GetBucketObjectLockConfiguration", "s3:GetLifecycleConfiguration"])
    error_message = "a reader reads, lists, thaws and sees the bucket's settings"
  }
}

run "reader_without_thaw" {
  command = plan

  module {
    source = "./modules/policies"
  }

  variables {
    reader_may_thaw = false
  }

  assert {
    condition     = !strcontains(output.reader_json, "RestoreObject")
    error_message = "a reader that may not thaw does not"
  }
}

run "pruner" {
  command = plan

  module {
    source = "./modules/policies"
  }

  assert {
    condition = toset([for r in flatten([for s in jsondecode(output.pruner_json).Statement : s.Resource if s.Effect == "Allow" && s.Action == "s3:DeleteObject"]) : split("/", r)[5]]) == toset([
    "wal", "pack", "base", "obj", "begun", "pin", "index", "catalog", "verify"])
    error_message = "a pruner deletes these kinds, and no epoch, gap, key, proof or mark"
  }

  assert {
    condition = anytrue([for s in jsondecode(output.pruner_json).Statement :
    s.Effect == "Deny" && contains(flatten([s.Action]), "s3:DeleteObjectVersion") && contains(flatten([s.Action]), "s3:BypassGovernanceRetention")])
    error_message = "what a pruner deletes can be taken back"
  }

  assert {
    condition     = !anytrue([for s in jsondecode(output.pruner_json).Statement : s.Effect == "Allow" && contains(flatten([s.Action]), "s3:PutObject") && strcontains(jsonencode(s.Resource), "/wal/")])
    error_message = "a pruner writes no history"
  }
}

variable "place" {
  description = "Where this is: partition, region and account."
  type = object({
    partition  = string
    region     = string
    account_id = string
  })
}

variable "bucket_name" {
  description = "Name of the bucket."
  type        = string
}

variable "root" {
  description = "What all names of the archive begin with, with the slash: prefix/nodedb/v1/."
  type        = string
}

variable "encryption" {
  description = "sse-kms or sse-s3."
  type        = string
  default     = "sse-kms"
}

variable "kms_key_arn" {
  description = "The key for sse-kms."
  type        = string
  default     = null
}

variable "deleters" {
  description = "ARNs (with * and ?) that alone may delete below root. Empty: whoever has a grant."
  type        = list(string)
  default     = []
}

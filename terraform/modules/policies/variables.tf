variable "name" {
  description = "Name of the archive; the policies are named after it."
  type        = string
}

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

variable "nodes" {
  description = "Ids of the nodes: one writer policy for each. Empty: one for all."
  type        = set(string)
  default     = []
}

variable "kms_key_arn" {
  description = "The key that the bucket encrypts with, or null."
  type        = string
  default     = null
}

variable "reader_may_thaw" {
  description = "Whether readers may bring objects back from cold storage, which costs money."
  type        = bool
  default     = true
}

variable "tags" {
  description = "Tags of all that is created."
  type        = map(string)
  default     = {}
}

package main

import (
	"cloud.google.com/go/storage"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	_ "gocloud.dev/blob/azureblob" // The stores that this program can open
	_ "gocloud.dev/blob/gcsblob"   // besides file://.
	_ "gocloud.dev/blob/memblob"
	_ "gocloud.dev/blob/s3blob"

	"github.com/nodedb-go/nodedb/archive"
)

func init() {
	archive.RegisterClassReader(gcsClass)
	archive.RegisterClassReader(azureClass)
}

func gcsClass(as func(any) bool) archive.StorageClass {
	var o storage.ObjectAttrs
	if !as(&o) {
		return ""
	}
	return archive.StorageClass(o.StorageClass)
}

func azureClass(as func(any) bool) archive.StorageClass {
	var listed container.BlobItem
	if as(&listed) && listed.Properties != nil && listed.Properties.AccessTier != nil {
		return archive.StorageClass(*listed.Properties.AccessTier)
	}
	var p blob.GetPropertiesResponse
	if as(&p) && p.AccessTier != nil {
		return archive.StorageClass(*p.AccessTier)
	}
	return ""
}

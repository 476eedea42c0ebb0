package watch

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// keys gives minio-go the credentials that the store uses. Its caller holds a lock.
type keys struct {
	ctx  context.Context
	from aws.CredentialsProvider
	last aws.Credentials
}

// Retrieve implements credentials.Provider.
func (k *keys) Retrieve() (credentials.Value, error) { return k.RetrieveWithCredContext(nil) }

// RetrieveWithCredContext implements credentials.Provider.
func (k *keys) RetrieveWithCredContext(*credentials.CredContext) (credentials.Value, error) {
	c, err := k.from.Retrieve(k.ctx)
	if err != nil {
		return credentials.Value{}, fmt.Errorf("credentials for notifications: %w", err)
	}
	k.last = c
	v := credentials.Value{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken,
		SignerType: credentials.SignatureV4}
	if c.CanExpire {
		v.Expiration = c.Expires
	}
	return v, nil
}

// IsExpired implements credentials.Provider.
func (k *keys) IsExpired() bool { return !k.last.HasKeys() || k.last.Expired() }

package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

const reasonBytesMax = 4 << 10

// deadQueue sends messages to the queue at url, with the reason as attribute
// "reason" and the id that the message had as "message"; nil without a url.
func deadQueue(ctx context.Context, url string) (func(context.Context, *events.SQSMessage, string) error, error) {
	if url == "" {
		return nil, nil
	}
	c, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("configure the dead queue: %w", err)
	}
	client := sqs.NewFromConfig(c)
	text := func(s string) types.MessageAttributeValue {
		// SQS refuses half a character.
		cut := strings.ToValidUTF8(s[:min(len(s), reasonBytesMax)], "")
		return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String(cut)}
	}
	return func(ctx context.Context, m *events.SQSMessage, reason string) error {
		_, err := client.SendMessage(ctx, &sqs.SendMessageInput{
			QueueUrl: aws.String(url), MessageBody: aws.String(m.Body),
			MessageAttributes: map[string]types.MessageAttributeValue{"reason": text(reason), "message": text(m.MessageId)},
		})
		return err
	}, nil
}

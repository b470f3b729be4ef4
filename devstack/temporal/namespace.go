package main

import (
	"context"
	"errors"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

// prepareNamespace waits until the frontend serves and makes sure that the namespace and
// its search attributes are there and known. It goes through the server's own API, so
// that both stores, old data and new, take the same way.
func prepareNamespace(ctx context.Context, address string, opts options) error {
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("connect to the frontend: %w", err)
	}
	defer connection.Close() //nolint:errcheck // nothing is in flight

	health := grpc_health_v1.NewHealthClient(connection)
	err = poll(ctx, "the frontend to serve", func(ctx context.Context) error {
		response, err := health.Check(ctx, &grpc_health_v1.HealthCheckRequest{
			Service: "temporal.api.workflowservice.v1.WorkflowService",
		}, grpc.WaitForReady(true))
		if err != nil {
			return fmt.Errorf("ask the frontend's health: %w", err)
		}
		if response.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
			return fmt.Errorf("the frontend says %s", response.GetStatus())
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := registerNamespace(ctx, workflowservice.NewWorkflowServiceClient(connection), opts); err != nil {
		return err
	}
	return addSearchAttributes(ctx, operatorservice.NewOperatorServiceClient(connection), opts)
}

// registerNamespace registers the namespace unless it is there.
func registerNamespace(ctx context.Context, service workflowservice.WorkflowServiceClient, opts options) error {
	_, err := service.RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{
		Namespace:                        opts.namespace,
		Description:                      "Banyan",
		WorkflowExecutionRetentionPeriod: durationpb.New(opts.retention),
	})
	var exists *serviceerror.NamespaceAlreadyExists
	if err = serviceerror.FromStatus(status.Convert(err)); err != nil && !errors.As(err, &exists) {
		return fmt.Errorf("register namespace %s: %w", opts.namespace, err)
	}
	return poll(ctx, "namespace "+opts.namespace, func(ctx context.Context) error {
		_, err := service.DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: opts.namespace})
		if err != nil {
			return fmt.Errorf("describe namespace %s: %w", opts.namespace, err)
		}
		return nil
	})
}

// addSearchAttributes adds the search attributes that are missing and waits until the
// server lists them all.
func addSearchAttributes(ctx context.Context, service operatorservice.OperatorServiceClient, opts options) error {
	return poll(ctx, "the search attributes", func(ctx context.Context) error {
		listed, err := service.ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{
			Namespace: opts.namespace,
		})
		if err != nil {
			return fmt.Errorf("list the search attributes: %w", err)
		}
		missing := map[string]enumspb.IndexedValueType{}
		for _, name := range opts.attributes {
			if _, ok := listed.GetCustomAttributes()[name]; !ok {
				missing[name] = enumspb.INDEXED_VALUE_TYPE_KEYWORD
			}
		}
		if len(missing) == 0 {
			return nil
		}
		if _, err := service.AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
			Namespace:        opts.namespace,
			SearchAttributes: missing,
		}); err != nil {
			return fmt.Errorf("add search attributes: %w", err)
		}
		return fmt.Errorf("%d search attributes were only just added", len(missing))
	})
}

package worker_test

import (
	"context"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"go.temporal.io/api/namespace/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"google.golang.org/grpc"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
	"github.com/banyanhq/banyan/worker"
)

// quietFrontend is a Temporal frontend on which nothing ever happens: it answers every poll
// for workflow tasks of the journeys empty, once so many of them are open at one moment.
type quietFrontend struct {
	workflowservice.UnimplementedWorkflowServiceServer
	want        int32
	open, ended atomic.Int32
	most        chan struct{} // has one for each moment at which that many were open
}

func (f *quietFrontend) GetSystemInfo(context.Context, *workflowservice.GetSystemInfoRequest) (*workflowservice.GetSystemInfoResponse, error) {
	return &workflowservice.GetSystemInfoResponse{Capabilities: &workflowservice.GetSystemInfoResponse_Capabilities{}}, nil
}

func (f *quietFrontend) DescribeNamespace(context.Context, *workflowservice.DescribeNamespaceRequest) (*workflowservice.DescribeNamespaceResponse, error) {
	return &workflowservice.DescribeNamespaceResponse{NamespaceInfo: &namespace.NamespaceInfo{
		Capabilities: &namespace.NamespaceInfo_Capabilities{PollerAutoscaling: true},
	}}, nil
}

func (f *quietFrontend) PollWorkflowTaskQueue(ctx context.Context, r *workflowservice.PollWorkflowTaskQueueRequest) (*workflowservice.PollWorkflowTaskQueueResponse, error) {
	if r.GetTaskQueue().GetName() != campaign.TaskQueueJourneys {
		<-ctx.Done() // the sticky queue
		return nil, ctx.Err()
	}
	defer f.open.Add(-1)
	if f.open.Add(1) == f.want {
		f.most <- struct{}{}
	}
	// The first hundred end empty, as a long poll of a quiet queue does.
	if f.ended.Add(1) <= 100 {
		return &workflowservice.PollWorkflowTaskQueueResponse{}, nil
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

func (f *quietFrontend) PollActivityTaskQueue(ctx context.Context, _ *workflowservice.PollActivityTaskQueueRequest) (*workflowservice.PollActivityTaskQueueResponse, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestManyPollsStayOpenWhileNothingHappens: a worker on whose queue nothing has happened for
// long still has many polls open when a crowd falls due.
func TestManyPollsStayOpenWhileNothingHappens(t *testing.T) {
	t.Parallel()
	const many = 16
	f := &quietFrontend{want: many, most: make(chan struct{}, 1000)}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	workflowservice.RegisterWorkflowServiceServer(server, f)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	c, err := client.Dial(client.Options{
		HostPort: listener.Addr().String(), Logger: sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	database := accounts(t).Store
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- worker.Run(ctx, worker.Config{
			Store: database, Client: c, Channels: channels.New(), Log: slog.New(slog.DiscardHandler),
		})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the worker ended: %v", err)
		}
	})
	deadline := time.After(time.Minute)
	for {
		select {
		case <-f.most:
			// Those that hold on after a hundred empty ones are what counts.
			if f.ended.Load() > 100 {
				return
			}
		case err := <-ended:
			ended <- err
			t.FailNow()
		case <-deadline:
			t.Fatalf("after a hundred empty polls %d are open, not %d", f.open.Load(), many)
		}
	}
}

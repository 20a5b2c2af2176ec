package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	flux "example.com/approval/flux/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const (
	// For so long an engine that answers is looked for.
	patience = time.Minute
	// For so long one call may take.
	deadline = 30 * time.Second
	// Engines send no larger messages.
	largest = 16 << 20
)

// Cluster is a cluster of engines, of which one is asked until it is lost. It is for one goroutine.
type Cluster struct {
	engines []string
	stubs   []flux.FluxServiceClient
	token   string
	current int
	// When the first of the engines that were lost in a row was; zero when the last one answered.
	lostSince time.Time
}

// FromEnvironment reads the same variables as the command line does.
func FromEnvironment() (*Cluster, error) {
	engines := os.Getenv("FLUX_ENGINE")
	if engines == "" {
		engines = "http://127.0.0.1:7520"
	}
	cluster := &Cluster{token: os.Getenv("FLUX_CLIENT_TOKEN")}
	for _, engine := range strings.Split(engines, ",") {
		engine = strings.TrimSpace(engine)
		connection, err := connect(engine, os.Getenv("FLUX_TLS_CA_FILE"))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", engine, err)
		}
		cluster.engines = append(cluster.engines, engine)
		cluster.stubs = append(cluster.stubs, flux.NewFluxServiceClient(connection))
	}
	return cluster, nil
}

// Call asks one engine after the other until one answers. To ask again does no harm: submissions have
// their request id and events their id.
func (c *Cluster) Call(ask func(context.Context, flux.FluxServiceClient) error) error {
	for {
		ctx, cancel := context.WithTimeout(c.context(), deadline)
		err := ask(ctx, c.stubs[c.current])
		cancel()
		if !c.lost(err) {
			return err
		}
	}
}

// Watch tells what happens to a run, until its end, though engines come and go meanwhile. What `see`
// answers ends it, unless it is nil.
func (c *Cluster) Watch(run string, see func(*flux.WatchRunResponse) error) error {
	request := &flux.WatchRunRequest{Name: run}
	for {
		stream, err := c.stubs[c.current].WatchRun(c.context(), request)
		for err == nil {
			var news *flux.WatchRunResponse
			if news, err = stream.Recv(); err != nil {
				break
			}
			c.lostSince, request.ResumeToken = time.Time{}, news.ResumeToken
			if wrong := see(news); wrong != nil {
				return wrong
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if !c.lost(err) {
			return err
		}
	}
}

// lost turns to the next engine when that may help.
func (c *Cluster) lost(err error) bool {
	if status.Code(err) != codes.Unavailable {
		c.lostSince = time.Time{}
		return false
	}
	if c.lostSince.IsZero() {
		c.lostSince = time.Now()
	}
	if time.Since(c.lostSince) > patience {
		return false
	}
	lost := c.engines[c.current]
	c.current = (c.current + 1) % len(c.engines)
	fmt.Fprintf(os.Stderr, "%s is lost, asking %s\n", lost, c.engines[c.current])
	if c.current == 0 {
		time.Sleep(500 * time.Millisecond) // all were asked
	}
	return true
}

// context brings the token along with a call.
func (c *Cluster) context() context.Context {
	if c.token == "" {
		return context.Background()
	}
	return metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+c.token)
}

// connect takes an engine such as http://127.0.0.1:7520; with https:// the file names whom to trust,
// instead of the authorities of the system.
func connect(engine, caFile string) (*grpc.ClientConn, error) {
	options := []grpc.DialOption{
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(largest)),
		// A connection whose other end is gone without a word is noticed after 30 seconds.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second, Timeout: 10 * time.Second}),
	}
	if address := strings.TrimPrefix(engine, "http://"); address != engine {
		return grpc.Dial(address, append(options, grpc.WithInsecure())...)
	}
	address := strings.TrimPrefix(engine, "https://")
	if address == engine {
		return nil, errors.New("an engine is such as http://127.0.0.1:7520")
	}
	trust := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, err
		}
		trust.RootCAs = x509.NewCertPool()
		if !trust.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s: no certificate is in it", caFile)
		}
	}
	return grpc.Dial(address, append(options, grpc.WithTransportCredentials(credentials.NewTLS(trust)))...)
}

// Explain says what an engine says of its refusal: which fields are wrong, or what it is about.
func Explain(err error) string {
	refusal, ok := status.FromError(err)
	if !ok {
		return err.Error()
	}
	text := fmt.Sprintf("%s: %s", refusal.Code(), refusal.Message())
	for _, detail := range refusal.Details() {
		switch detail := detail.(type) {
		case *errdetails.BadRequest:
			for _, wrong := range detail.FieldViolations {
				if !strings.Contains(text, wrong.Description) {
					text += fmt.Sprintf("\n  %s: %s", wrong.Field, wrong.Description)
				}
			}
		case *errdetails.ErrorInfo:
			text += fmt.Sprintf("\n  %s: %v", detail.Reason, detail.Metadata)
		}
	}
	return text
}

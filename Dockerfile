# syntax=docker/dockerfile:1

# One static binary in an image that holds nothing else: no shell, no packages, no root.

FROM golang:1.26.8-bookworm AS build
WORKDIR /src
# The modules change seldom: a layer of their own.
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
# timetzdata carries the time zones inside: send windows are in members' own time.
ENV GOCACHE=/go/build-cache
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/go/build-cache \
    CGO_ENABLED=0 go build -trimpath -tags timetzdata -ldflags "-s -w" -o /out/banyan ./cmd/banyan

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/banyan /banyan
# A number, so that an orchestrator can tell that it is not root.
USER 65532:65532
# Everything comes from outside; see docker-compose.yml for the list.
ENV BANYAN_LISTEN=0.0.0.0:8080
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --retries=3 --start-period=30s CMD ["/banyan", "healthcheck"]
ENTRYPOINT ["/banyan"]
CMD ["serve"]

# An image that has nothing but wgd: one static program, no shell, no libc. From a checkout:
#
#     docker build -t wgd .
#     docker run --cap-add NET_ADMIN --device /dev/net/tun -v /etc/wireguard:/etc/wireguard:ro wgd
#
# See docs/operations.md#containers.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags=-s -o /out/bin/ ./cmd/wgd
# These folders are for a container whose root is read-only.
RUN mkdir -p /out/run /out/var/lib/wgd && ln -s ../run /out/var/run

FROM scratch
COPY --from=build /out/ /
ENTRYPOINT ["/bin/wgd"]
CMD ["up", "-f", "wg0"]
STOPSIGNAL SIGTERM

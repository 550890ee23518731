//go:build tools

package tools

import (
	_ "github.com/spiffe/spire-controller-manager/cmd"
	_ "github.com/spiffe/spire/cmd/spire-agent"
	_ "github.com/spiffe/spire/cmd/spire-server"
)

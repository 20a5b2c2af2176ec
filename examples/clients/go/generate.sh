#!/bin/sh
# Generates flux/v1 from the interface. The files of the interface name no Go package, so that everybody
# can have them in a module of their own: here it is this one.
set -e
cd "$(dirname "$0")"
module=example.com/approval
files="flux/v1/engine.proto flux/v1/run.proto flux/v1/service.proto flux/v1/workflow.proto"
options="--go_opt=module=$module --go-grpc_opt=module=$module"
for file in $files; do
    options="$options --go_opt=M$file=$module/flux/v1 --go-grpc_opt=M$file=$module/flux/v1"
done
# shellcheck disable=SC2086 # lists of words
protoc -I ../../../proto --go_out=. --go-grpc_out=. $options $files

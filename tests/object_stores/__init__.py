"""What only an object store can show: `make test-engines` starts moto and fake-gcs-server, on loopback and in memory."""

/**
 * A certificate that nobody trusts, for a server on loopback, and its key. Both are public and guard
 * nothing. Valid until 2126; made with
 * `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500 -subj /CN=localhost
 * -addext subjectAltName=IP:127.0.0.1,DNS:localhost`.
 */
export const selfSigned = {
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg2EAGxDLv1d07xdRS
iwr1i3poTJKRw8HqPXCNcmOHDKuhRANCAAR3Tu0hkdwDmJ7hw36FhKWpLq0UBVmX
ISFjGx01AeZbJPhAgFPmszUQZb2gv0BldOb1Dl4usH2IxlAOr1Z88APj
-----END PRIVATE KEY-----`,
  cert: `-----BEGIN CERTIFICATE-----
MIIBnDCCAUGgAwIBAgIUIiI11V0makgvFtOb7ORcObisZeowCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNDE1MzcxMFoYDzIxMjYxMDMx
MTUzNzEwWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAR3Tu0hkdwDmJ7hw36FhKWpLq0UBVmXISFjGx01AeZbJPhAgFPmszUQ
Zb2gv0BldOb1Dl4usH2IxlAOr1Z88APjo28wbTAdBgNVHQ4EFgQURtsUTkvg4I8h
+gpaHIzQE9M6/PcwHwYDVR0jBBgwFoAURtsUTkvg4I8h+gpaHIzQE9M6/PcwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARhwR/AAABgglsb2NhbGhvc3QwCgYIKoZI
zj0EAwIDSQAwRgIhALmjvdbrZ4+nicvl2SyjV9183cn8UNWMnMaOR/vyHTGVAiEA
/7uzydiVoDMF+/I4cCaiuGTciQPOmpjowz5mdLi+H+A=
-----END CERTIFICATE-----`,
} as const;

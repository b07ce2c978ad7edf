/** The build of the web app: the repository root is its root, so that `packages/core` is part of it. */
import path from 'node:path';
import type { NextConfig } from 'next';
import { PHASE_DEVELOPMENT_SERVER } from 'next/constants.js';

const repositoryRoot = path.join(import.meta.dirname, '../..');

/**
 * As tight as Next permits without a nonce: the framework writes the page's data into inline
 * scripts. React needs `eval` while developing, and only then.
 */
function contentSecurityPolicy(isDevelopment: boolean): string {
  return [
    "default-src 'none'",
    `script-src 'self' 'unsafe-inline'${isDevelopment ? " 'unsafe-eval'" : ''}`,
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self'",
    "font-src 'self'",
    `connect-src 'self'${isDevelopment ? ' ws:' : ''}`,
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "object-src 'none'",
  ].join('; ');
}

export default function config(phase: string): NextConfig {
  const securityHeaders = [
    { key: 'content-security-policy', value: contentSecurityPolicy(phase === PHASE_DEVELOPMENT_SERVER) },
    // What helmet sets on the jobs API, and what it has no word for.
    { key: 'cross-origin-opener-policy', value: 'same-origin' },
    { key: 'cross-origin-resource-policy', value: 'same-origin' },
    { key: 'origin-agent-cluster', value: '?1' },
    { key: 'referrer-policy', value: 'no-referrer' },
    { key: 'strict-transport-security', value: 'max-age=63072000; includeSubDomains' },
    { key: 'x-content-type-options', value: 'nosniff' },
    { key: 'x-dns-prefetch-control', value: 'off' },
    { key: 'x-download-options', value: 'noopen' },
    { key: 'x-frame-options', value: 'DENY' },
    { key: 'x-permitted-cross-domain-policies', value: 'none' },
    { key: 'x-xss-protection', value: '0' },
    { key: 'permissions-policy', value: 'camera=(), geolocation=(), microphone=()' },
    { key: 'x-robots-tag', value: 'noindex, nofollow' },
  ];
  return {
    poweredByHeader: false,
    reactStrictMode: true,
    transpilePackages: ['@revos/core', '@revos/jobs-api', '@revos/otel', '@revos/sentry'],
    outputFileTracingRoot: repositoryRoot,
    turbopack: { root: repositoryRoot },
    // `npm run check` has them checked, with everything else.
    typescript: { ignoreBuildErrors: true },
    // Writing it takes longer than it saves: a build is made where there is none.
    experimental: { turbopackFileSystemCacheForBuild: false },
    headers: () => Promise.resolve([{ source: '/:path*', headers: securityHeaders }]),
  };
}

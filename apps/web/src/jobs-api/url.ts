/** The address of `path` (without a leading slash) under the base address of the jobs API. */
export function jobsApiUrl(base: string, path: string): URL {
  return new URL(path, base.endsWith('/') ? base : `${base}/`);
}

/** A client of the jobs API. Paths, parameters, bodies and answers have the types of its OpenAPI document. */
import createClient, {
  type Client,
  type ClientPathsWithMethod,
  type MaybeOptionalInit,
  type MethodResponse,
} from 'openapi-fetch';
import { bounded } from './bounded.ts';
import { errorOf, JobsApiError } from './problem.ts';
import type { paths } from './schema.ts';

type HttpClient = Client<paths, 'application/json'>;

/** `path` as the document has it, `{id}` and all; `init` is left out where nothing in it is required. */
type Call<Method extends 'get' | 'post' | 'patch'> = <
  Path extends ClientPathsWithMethod<HttpClient, Method>,
  Init extends MaybeOptionalInit<paths[Path], Method>,
>(
  path: Path,
  ...init: undefined extends Init ? [Init?] : [Init]
) => Promise<MethodResponse<HttpClient, Method, Path>>;

/** Every call resolves to its answer’s body, and rejects with a `JobsApiError`. */
export interface JobsClient {
  readonly get: Call<'get'>;
  readonly post: Call<'post'>;
  readonly patch: Call<'patch'>;
}

export interface JobsClientOptions {
  /** Such as `https://jobs.example.com`; http on this machine alone. */
  readonly baseUrl: string;
  /** An ops token. */
  readonly token: string;
  /** `globalThis.fetch` by default. */
  readonly fetch?: (request: Request) => Promise<Response>;
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** The token travels there: it must be https, unless it never leaves the machine. */
function isSafe(address: string): boolean {
  const url = URL.parse(address);
  if (url === null || url.username !== '' || url.password !== '') return false;
  return url.protocol === 'https:' || (url.protocol === 'http:' && LOOPBACK.test(url.hostname));
}

/** @throws {TypeError} if the token would travel in the clear */
export function createJobsClient({ baseUrl, token, fetch }: JobsClientOptions): JobsClient {
  if (!isSafe(baseUrl)) {
    throw new TypeError('baseUrl must be https without a name and a password, or http on this machine');
  }
  const http = createClient<paths, 'application/json'>({
    baseUrl,
    // A redirect is no answer of the API's: the token goes nowhere else.
    redirect: 'manual',
    headers: { accept: 'application/json, application/problem+json', authorization: `Bearer ${token}` },
    fetch: async (request) => bounded(await (fetch ?? globalThis.fetch)(request)),
  });
  http.use({
    onResponse: async ({ response }) => {
      if (!response.ok || !isJson(response)) throw await errorOf(response);
    },
  });
  return {
    get: (path, ...init) => answerOf(http.GET(path, ...(init as never))),
    post: (path, ...init) => answerOf(http.POST(path, ...(init as never))),
    patch: (path, ...init) => answerOf(http.PATCH(path, ...(init as never))),
  };
}

const isJson = ({ headers }: Response): boolean =>
  /^application\/json\b/i.test(headers.get('content-type') ?? '');

/** The body of a success. What is none has thrown. */
async function answerOf(call: Promise<{ data?: unknown }>): Promise<never> {
  try {
    const { data } = await call;
    return data as never;
  } catch (error) {
    const isAborted = error instanceof DOMException && error.name === 'AbortError';
    if (error instanceof JobsApiError || isAborted) throw error;
    const title = 'The jobs API does not answer';
    throw new JobsApiError(
      { kind: 'no-answer', status: null, title, detail: codeOf(error) },
      { cause: error },
    );
  }
}

/** `ECONNREFUSED` and the like, which stand one deeper in what `fetch` throws; null if there is none. */
function codeOf(error: unknown): string | null {
  const { name, cause } = error as Error;
  if (name === 'TimeoutError') return name;
  const { code } = (cause ?? error) as { code?: unknown };
  return typeof code === 'string' ? code : null;
}

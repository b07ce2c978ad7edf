/**
 * The body of an rpc, made ready for lite.
 *
 * lite takes a text given for a json or jsonb parameter for JSON itself: `"plain"` would be
 * refused, and `"1"` would arrive as a number. Hosted Supabase hands on the text. Pure but for
 * reading the request.
 */

/** What is known of a function of the database. */
export interface FunctionSignature {
  readonly schema: string;
  readonly name: string;
  readonly arg_names: readonly string[];
  readonly arg_types: readonly string[];
}

const RPC = /^\/rest\/v1\/rpc\/([^/]+)$/;

/** The same request, with each text that is meant for a json parameter encoded once more. */
export async function encodeJsonTexts(
  request: Request,
  functions: readonly FunctionSignature[],
): Promise<Request> {
  const name = RPC.exec(new URL(request.url).pathname)?.[1];
  if (request.method !== 'POST' || name === undefined) return request;
  const schema = request.headers.get('content-profile') ?? 'public';
  const candidates = functions.filter(
    (each) => each.name === decodeURIComponent(name) && each.schema === schema,
  );
  const names = jsonParametersOf(candidates);
  if (names.size === 0 || !request.headers.get('content-type')?.startsWith('application/json'))
    return request;

  const body = await request.text();
  const headers = new Headers(request.headers);
  headers.delete('content-length');
  return new Request(request.url, {
    method: request.method,
    headers,
    signal: request.signal,
    body: encodeTexts(body, names),
  });
}

/** The names of the parameters that are json or jsonb in every function of one name. */
function jsonParametersOf(candidates: readonly FunctionSignature[]): Set<string> {
  const isJson = new Map<string, boolean>();
  for (const { arg_names, arg_types } of candidates) {
    for (const [index, name] of arg_names.entries()) {
      const json = arg_types[index] === 'json' || arg_types[index] === 'jsonb';
      isJson.set(name, json && isJson.get(name) !== false);
    }
  }
  return new Set([...isJson].filter(([name, json]) => json && name !== '').map(([name]) => name));
}

function encodeTexts(body: string, names: ReadonlySet<string>): string {
  let sent: unknown;
  try {
    sent = JSON.parse(body);
  } catch {
    return body; // lite answers with the error
  }
  if (typeof sent !== 'object' || sent === null || Array.isArray(sent)) return body;
  const texts = Object.entries(sent).filter(([name, value]) => typeof value === 'string' && names.has(name));
  if (texts.length === 0) return body;
  return JSON.stringify({
    ...sent,
    ...Object.fromEntries(texts.map(([name, value]) => [name, JSON.stringify(value)])),
  });
}

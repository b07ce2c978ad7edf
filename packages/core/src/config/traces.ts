/** The standard variables of OpenTelemetry: where spans are sent, and which. */
import Type, { type Static, type TObject } from 'typebox';
import { isSafeAddress } from './address.ts';
import { EnvironmentError } from './env.ts';

const isHttp = (value: string): boolean => {
  const url = URL.parse(value);
  if (url === null || url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '')
    return false;
  return url.protocol === 'https:' || url.protocol === 'http:';
};

/** `name=value,name=value`, each percent-encoded; null if it is not of that form. */
function pairsIn(list: string): Readonly<Record<string, string>> | null {
  const pairs: Array<readonly [string, string]> = [];
  for (const entry of list.split(',').filter((part) => part.trim() !== '')) {
    const [, name, value] = /^\s*([!#$%&'*+.^_`|~\w-]+)\s*=(.*)$/.exec(entry) ?? [];
    if (name === undefined || value === undefined) return null;
    try {
      pairs.push([name, decodeURIComponent(value.trim())]);
    } catch {
      return null;
    }
  }
  return Object.fromEntries(pairs);
}

const SAMPLERS = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const;

/** What travels in a header is visible ASCII, and blanks within. */
const areHeaders = (list: string): boolean => {
  const headers = pairsIn(list);
  return headers !== null && Object.values(headers).every((value) => /^[ -~]*$/.test(value));
};

export const tracesVariables = {
  /** Spans are sent to it; without one there are none. */
  OTEL_EXPORTER_OTLP_ENDPOINT: Type.Optional(Type.Refine(Type.String(), isHttp)),
  OTEL_EXPORTER_OTLP_HEADERS: Type.Optional(Type.Refine(Type.String(), areHeaders)),
  OTEL_SERVICE_NAME: Type.Optional(Type.String({ maxLength: 200 })),
  OTEL_RESOURCE_ATTRIBUTES: Type.Optional(Type.Refine(Type.String(), (list) => pairsIn(list) !== null)),
  OTEL_TRACES_SAMPLER: Type.Optional(Type.Union(SAMPLERS.map((name) => Type.Literal(name)))),
  /** A share, from 0 to 1. */
  OTEL_TRACES_SAMPLER_ARG: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
};
const TracesEnv: TObject<typeof tracesVariables> = Type.Object(tracesVariables);
export type TracesEnv = Static<typeof TracesEnv>;

export interface TracesConfig {
  readonly endpoint: string;
  readonly headers: Readonly<Record<string, string>>;
  /** What is said of the process besides its name and version. */
  readonly resource: Readonly<Record<string, string>>;
  readonly sampler: { readonly name: (typeof SAMPLERS)[number]; readonly ratio: number };
}

/**
 * Null where nothing is traced.
 *
 * @throws {EnvironmentError} if headers, which are secrets, would leave the machine unencrypted
 */
export function tracesConfigOf(env: TracesEnv): TracesConfig | null {
  const endpoint = env.OTEL_EXPORTER_OTLP_ENDPOINT;
  if (endpoint === undefined) return null;
  const headers = pairsIn(env.OTEL_EXPORTER_OTLP_HEADERS ?? '') ?? {};
  if (Object.keys(headers).length > 0 && !isSafeAddress(endpoint)) {
    throw new EnvironmentError([], ['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_EXPORTER_OTLP_HEADERS']);
  }
  const name = env.OTEL_SERVICE_NAME;
  return {
    endpoint,
    headers,
    resource: {
      ...pairsIn(env.OTEL_RESOURCE_ATTRIBUTES ?? ''),
      ...(name === undefined ? {} : { 'service.name': name }),
    },
    sampler: {
      name: env.OTEL_TRACES_SAMPLER ?? 'parentbased_always_on',
      ratio: env.OTEL_TRACES_SAMPLER_ARG ?? 1,
    },
  };
}

/** The values of `OTEL_EXPORTER_OTLP_HEADERS`, as they are written and as they are sent. */
export function secretsInHeaders(list: string | undefined): string[] {
  const headers = pairsIn(list ?? '') ?? {};
  return Object.values(headers).flatMap((value) => {
    // `Bearer <token>`: the token by itself.
    const token = value.slice(value.lastIndexOf(' ') + 1);
    return [...new Set([value, token, encodeURIComponent(value), encodeURIComponent(token)])];
  });
}

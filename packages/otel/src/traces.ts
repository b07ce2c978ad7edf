/**
 * Traces by OpenTelemetry, sent as OTLP over HTTP in JSON.
 *
 * A provider of its own, which is made known to nobody: no library that speaks the API finds it, so
 * nothing comes to it but the spans that are started here. Parents are handed on by hand; nothing
 * follows a request by itself.
 */
import {
  type Span as ApiSpan,
  type Context,
  type Link,
  ROOT_CONTEXT,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { type ExportResult, ExportResultCode } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BatchSpanProcessor,
  type ReadableSpan,
  type SpanExporter,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import type { TracesConfig } from '@revos/core/config';
import { isTraceparent, type Logger, type Span, type SpanName, type Traces } from '@revos/core/telemetry';
import { attributesOf, errorTypeOf } from './attributes.ts';
import { samplerOf } from './sampler.ts';

export interface OtelOptions extends TracesConfig {
  /** What the process is: the name of its service, unless OTEL_SERVICE_NAME says another. */
  readonly process: 'jobs-api' | 'worker' | 'web';
  /** The version, and the commit where that is known. */
  readonly release: string;
  readonly logger: Logger;
}

/** Ended spans that wait for the next export, at most; a further one is dropped. */
const WAITING_MAX = 2_048;
const BATCH_MAX = 512;
/** The longest wait for the next export, and how long one may take with all its repeats, in milliseconds. */
const WAIT_MS_MAX = 5_000;
const EXPORT_MS_MAX = 10_000;
/** Exports under way at once: a collector that hangs holds no more than these batches. */
const EXPORTS_MAX = 4;

/** The others are within a process. */
const KINDS: Readonly<Partial<Record<SpanName, SpanKind>>> = {
  slot: SpanKind.SERVER,
  request: SpanKind.SERVER,
  trigger: SpanKind.CLIENT,
  claim: SpanKind.CLIENT,
  call: SpanKind.CLIENT,
  record: SpanKind.CLIENT,
  look: SpanKind.CLIENT,
};

export function createOtelTraces(options: OtelOptions): Traces {
  const { endpoint, headers, logger } = options;
  const exporter = withNotices(
    new OTLPTraceExporter({
      url: `${endpoint.replace(/\/$/, '')}/v1/traces`,
      headers: { ...headers },
      timeoutMillis: EXPORT_MS_MAX,
      concurrencyLimit: EXPORTS_MAX,
    }),
    logger,
  );
  const provider = new TracerProvider({
    sampler: samplerOf(options.sampler),
    resource: resourceFromAttributes({
      'service.name': `revos-${options.process}`,
      'service.version': options.release,
      ...options.resource,
    }),
    spanLimits: { linkCountLimit: 200 },
    spanProcessors: [
      new BatchSpanProcessor({
        exporter,
        maxQueueSize: WAITING_MAX,
        maxExportBatchSize: BATCH_MAX,
        scheduledDelayMillis: WAIT_MS_MAX,
        exportTimeoutMillis: EXPORT_MS_MAX,
      }),
    ],
  });
  const tracer = provider.getTracer('revos');

  return {
    start(name, facts, traceparent) {
      const parent = isTraceparent(traceparent) ? contextOf(traceparent) : ROOT_CONTEXT;
      return spanOf(
        tracer,
        tracer.startSpan(name, { ...kindOf(name), attributes: attributesOf(facts) }, parent),
      );
    },
    async flush(timeoutMs) {
      // What does not arrive was told of by the exporter.
      const told = provider
        .forceFlush({ timeoutMillis: timeoutMs })
        .catch(() => {})
        .then(() => exporter.forceFlush?.())
        .catch(() => {});
      const expired = Promise.withResolvers<void>();
      const timer = setTimeout(expired.resolve, timeoutMs);
      await Promise.race([told, expired.promise]);
      clearTimeout(timer);
    },
  };
}

const kindOf = (name: SpanName) => ({ kind: KINDS[name] ?? SpanKind.INTERNAL });

/** The span of another process, from its name. */
function contextOf(traceparent: string): Context {
  const [, traceId = '', spanId = '', flags = ''] = traceparent.split('-');
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: Number(flags), isRemote: true });
}

const traceparentOf = ({ traceId, spanId, traceFlags }: SpanContext): string =>
  `00-${traceId}-${spanId}-0${traceFlags & 1}`;

/** The SDK's spans by what they are here, for links. */
const contexts = new WeakMap<Span, SpanContext>();

function spanOf(tracer: Tracer, own: ApiSpan): Span {
  const context = own.spanContext();
  const asParent = trace.setSpan(ROOT_CONTEXT, own);
  const span: Span = {
    isRecorded: own.isRecording(),
    traceparent: traceparentOf(context),
    child(name, facts, links = []) {
      const linked = links.flatMap((link): Link[] => {
        const context = contexts.get(link);
        return context === undefined ? [] : [{ context }];
      });
      const attributes = attributesOf(facts);
      return spanOf(tracer, tracer.startSpan(name, { ...kindOf(name), attributes, links: linked }, asParent));
    },
    set: (facts) => void own.setAttributes(attributesOf(facts)),
    fail(thrown) {
      own.setStatus({ code: SpanStatusCode.ERROR });
      own.setAttribute('error.type', errorTypeOf(thrown));
    },
    end: () => own.end(),
  };
  contexts.set(span, context);
  return span;
}

/** The same exporter, and the log says once that an outage began, and once that it is over. */
function withNotices(exporter: SpanExporter, logger: Logger): SpanExporter {
  let isAway = false;
  return {
    export(spans: ReadableSpan[], done: (result: ExportResult) => void) {
      exporter.export(spans, (result) => {
        const { code, error } = result;
        if (code === ExportResultCode.SUCCESS) {
          if (isAway) logger.info('trace export working again');
          isAway = false;
        } else {
          // Its code alone: the error of an export holds the collector's answer.
          const problem = String((error as { code?: unknown } | undefined)?.code ?? error?.name ?? 'unknown');
          if (!isAway) logger.warn({ problem }, 'trace export failed, spans are dropped');
          isAway = true;
        }
        done(result);
      });
    },
    shutdown: () => exporter.shutdown(),
    forceFlush: async () => exporter.forceFlush?.(),
  };
}

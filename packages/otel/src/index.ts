export { createOtelTraces, type OtelOptions } from './traces.ts';

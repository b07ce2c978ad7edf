export { type JsonExtent, jsonExtent } from './extent.ts';

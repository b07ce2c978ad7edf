export { type JsonExtent, jsonExtent } from './extent.ts';
export { isStorable, storableText } from './storable.ts';

/**
 * Bodies of writes: multipart as the real service wants them, JSON tolerated, one shape for both.
 *
 * JSON is flattened to the names multipart uses: `linkedin[api]`, `mentions[0][name]`, a list as a
 * repeated field. Files are counted and thrown away.
 */
import type { FastifyRequest } from 'fastify';
import { ApiError } from './errors.ts';
import type { Attachment } from './world/model.ts';

export const FORM_LIMITS = {
  fieldNameSize: 200,
  fieldSize: 64 * 1024,
  fields: 500,
  fileSize: 15 * 1024 * 1024,
  files: 20,
  parts: 520,
} as const;

const DEPTH_MAX = 4;

export interface Form {
  /** The first value of a field. */
  one(name: string): string | undefined;
  /** Every value of a repeated field. */
  all(name: string): readonly string[];
  readonly names: readonly string[];
  readonly files: readonly Attachment[];
}

/** @throws {ApiError} malformed_request, content_too_large, unsupported_media_type */
export async function readForm(request: FastifyRequest): Promise<Form> {
  const fields = new Map<string, string[]>();
  const files: Attachment[] = [];
  if (request.isMultipart()) await readMultipart(request, fields, files);
  else if (typeof request.body === 'object' && request.body !== null) flatten('', request.body, fields, 0);
  return {
    one: (name) => fields.get(name)?.[0],
    all: (name) => fields.get(name) ?? [],
    names: [...fields.keys()],
    files,
  };
}

async function readMultipart(
  request: FastifyRequest,
  fields: Map<string, string[]>,
  files: Attachment[],
): Promise<void> {
  try {
    for await (const part of request.parts()) {
      if (part.type === 'file') {
        let sizeBytes = 0;
        for await (const chunk of part.file) sizeBytes += (chunk as Buffer).length;
        files.push({
          field: part.fieldname,
          fileName: part.filename,
          mimeType: part.mimetype,
          sizeBytes,
        });
      } else {
        if (part.valueTruncated || part.fieldnameTruncated) throw tooLarge(part.fieldname);
        add(fields, part.fieldname, part.value);
      }
    }
  } catch (error) {
    if (error instanceof ApiError) throw error;
    const statusCode = (error as { statusCode?: number }).statusCode;
    throw new ApiError(statusCode === 413 ? 'content_too_large' : 'malformed_request');
  }
}

function tooLarge(field: string): ApiError {
  return new ApiError('content_too_large', `${field} is too large.`);
}

function add(fields: Map<string, string[]>, name: string, value: unknown): void {
  const values = fields.get(name) ?? [];
  values.push(typeof value === 'object' ? JSON.stringify(value) : String(value));
  fields.set(name, values);
}

function flatten(prefix: string, value: object, fields: Map<string, string[]>, depth: number): void {
  if (depth > DEPTH_MAX || fields.size > FORM_LIMITS.fields) throw new ApiError('malformed_request');
  for (const [key, inner] of Object.entries(value)) {
    const name = prefix === '' ? key : `${prefix}[${key}]`;
    if (inner === null || inner === undefined) continue;
    if (Array.isArray(inner) && inner.every((item) => typeof item !== 'object')) {
      for (const item of inner) add(fields, name, item);
    } else if (typeof inner === 'object') flatten(name, inner, fields, depth + 1);
    else add(fields, name, inner);
  }
}

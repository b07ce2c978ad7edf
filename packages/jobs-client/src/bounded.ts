/** Answers, read within a bound: what answers need not be the jobs API. */

/** Bytes of an answer. 10,000 refused messages, with their fields and problems, are a tenth of it. */
const ANSWER_BYTES_MAX = 32 * 1_048_576;

/** The same answer; reading more than so much of it fails. */
export function bounded(response: Response): Response {
  if (response.body === null) return response;
  let size = 0;
  const counted = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
    transform(chunk, controller) {
      size += chunk.byteLength;
      if (size > ANSWER_BYTES_MAX) controller.error(new Error('the answer is too long'));
      else controller.enqueue(chunk);
    },
  });
  return new Response(response.body.pipeThrough(counted), response);
}

/** The beginning of an answer as text; the rest is not read. */
export async function beginningOf(response: Response, lengthMax: number): Promise<string> {
  let text = '';
  for await (const part of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += part;
    if (text.length > lengthMax) break;
  }
  return text;
}

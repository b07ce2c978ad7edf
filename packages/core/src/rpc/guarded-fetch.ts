/**
 * `fetch` for calls that carry a key: it goes nowhere but where it was sent, and no answer is read
 * without end.
 */

/** The name is what is told of it, like the code of a socket. */
class AnswerTooLong extends Error {
  override readonly name = 'AnswerTooLong';
}

/** @param bytesMax of an answer, once it is decoded; reading a longer one fails */
export function guardedFetch(fetch: typeof globalThis.fetch, bytesMax: number): typeof globalThis.fetch {
  return async (input, init) => {
    // A redirect is an answer like any other, and no success: whoever gives it is not asked
    // elsewhere, key and all.
    const response = await fetch(input, { ...init, redirect: 'manual' });
    return response.body === null || isKnownToFit(response.headers, bytesMax)
      ? response
      : new Response(bounded(response.body, bytesMax), response);
  };
}

/** Whether the connection itself ends the answer in time, so that nothing need be counted. */
const isKnownToFit = (headers: Headers, bytesMax: number): boolean =>
  !headers.has('content-encoding') && Number(headers.get('content-length') ?? Number.NaN) <= bytesMax;

function bounded(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  bytesMax: number,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  let size = 0;
  const counted = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
    transform(chunk, controller) {
      size += chunk.byteLength;
      if (size > bytesMax) controller.error(new AnswerTooLong('the answer is too long'));
      else controller.enqueue(chunk);
    },
  });
  return body.pipeThrough(counted);
}

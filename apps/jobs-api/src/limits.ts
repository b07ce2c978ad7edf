/**
 * What one caller may take of the service, and how long it is waited for. docs/decisions/0016 says why.
 *
 * Nothing here is a setting: no deployment needs another number, and a test gives its own.
 */
export interface Limits {
  /** Refusals a minute to one address, of callers without a credential. */
  readonly refusalsPerAddressMax: number;
  /** Refusals a minute to all addresses together: an address can be changed. */
  readonly refusalsMax: number;
  /** Requests of one ops credential in ten seconds. */
  readonly requestsPerCredentialMax: number;
  /** Sockets that are open at the same time; a further one is closed at once. */
  readonly connectionsMax: number;
  /** Requests on one socket: the answer to the last asks for its end, and a further one is not served. */
  readonly requestsPerSocketMax: number;
  /** All headers of a request together. */
  readonly headerBytesMax: number;
  /** Bytes of all large bodies together that are taken in and worked on at the same time. */
  readonly largeBodiesBytesMax: number;
  /** Names, values and brackets of a JSON body: ten thousand rows have a third of it. */
  readonly bodyPartsMax: number;
  /** How long the headers of a request may take to arrive, also those of one that never begins. */
  readonly headersMsMax: number;
  /** How long a request may take to arrive as a whole. */
  readonly requestMsMax: number;
  /** How often it is looked for requests that are late. */
  readonly lateCheckMs: number;
}

export const LIMITS: Limits = {
  refusalsPerAddressMax: 60,
  refusalsMax: 1_200,
  requestsPerCredentialMax: 500,
  connectionsMax: 4_096,
  requestsPerSocketMax: 1_000,
  headerBytesMax: 16_384,
  // The largest that is taken, and some smaller ones.
  largeBodiesBytesMax: 24 * 1_048_576,
  bodyPartsMax: 600_000,
  headersMsMax: 15_000,
  // A wait for a run's end comes after it.
  requestMsMax: 60_000,
  lateCheckMs: 5_000,
};

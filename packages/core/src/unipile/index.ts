export type {
  CreatePostRequest,
  Failure,
  FailureKind,
  FindMessageRequest,
  FindPostRequest,
  FoundMessage,
  FoundPost,
  PostFile,
  PostMention,
  PublishedPost,
  ReadPostRequest,
  SearchResult,
  SendMessageRequest,
  SentMessage,
  Unipile,
} from './unipile.ts';
export { createUnipileV1, type UnipileV1Options } from './v1/client.ts';
export { baseUrlOf, type Transport } from './v1/exchange.ts';

/**
 * Unipile's v1 errors: one body shape, one entry per type the sandbox raises by itself.
 *
 * A scripted fault may answer with any other type; what stands here is what the world's own
 * rules produce. Bodies are those seen from the real service; `missing_credentials` has no detail.
 */

/** The JSON body of every refused request, in the order the real service writes its keys. */
export interface ErrorBody {
  readonly status: number;
  readonly type: string;
  readonly title: string;
  readonly detail?: string;
}

interface ErrorFacts {
  readonly status: number;
  readonly title: string;
  readonly detail?: string;
}

const CATALOGUE = {
  missing_parameters: { status: 400, title: 'Missing parameters' },
  invalid_parameters: { status: 400, title: 'Invalid parameters' },
  malformed_request: {
    status: 400,
    title: 'Malformed request',
    detail: 'The request body could not be parsed.',
  },
  content_too_large: { status: 400, title: 'Content too large' },
  too_many_characters: { status: 400, title: 'Too many characters' },
  invalid_url: { status: 400, title: 'Invalid URL' },
  missing_credentials: { status: 401, title: 'Missing credentials' },
  disconnected_account: {
    status: 401,
    title: 'Disconnected account',
    detail: 'The account appears to be disconnected from the provider service.',
  },
  account_restricted: {
    status: 403,
    title: 'Account restricted',
    detail: 'Access to this account has been restricted by the provider.',
  },
  account_mismatch: {
    status: 403,
    title: 'Account mismatch',
    detail: 'This action cannot be done with your account.',
  },
  insufficient_permissions: {
    status: 403,
    title: 'Insufficient permissions',
    detail: 'The account is not allowed to act for this organization.',
  },
  resource_not_found: {
    status: 404,
    title: 'Resource not found',
    detail: 'The requested resource was not found.',
  },
  unsupported_media_type: { status: 415, title: 'Unsupported media type' },
  invalid_recipient: {
    status: 422,
    title: 'Recipient cannot be reached',
    detail: 'Make sure that the recipient ID is valid and that the corresponding profile is not locked.',
  },
  no_connection_with_recipient: {
    status: 422,
    title: 'No connection with recipient',
    detail: 'The recipient appears not to be first degree connection.',
  },
  blocked_recipient: {
    status: 422,
    title: 'Blocked recipient',
    detail: 'The recipient appears to be blocked.',
  },
  user_unreachable: { status: 422, title: 'User unreachable', detail: 'The user cannot be reached.' },
  invalid_message: {
    status: 422,
    title: 'Invalid message',
    detail: "The message couldn't pass the validation.",
  },
  invalid_post: { status: 422, title: 'Invalid post', detail: 'Post cannot be found' },
  already_connected: {
    status: 422,
    title: 'Already connected',
    detail: 'The recipient is already a connection.',
  },
  already_invited_recently: {
    status: 422,
    title: 'Already invited recently',
    detail: 'An invitation has already been sent recently to this recipient.',
  },
  cannot_resend_yet: {
    status: 422,
    title: 'Cannot resend yet',
    detail: 'You have reached a temporary provider limit. Please try again later.',
  },
  too_many_requests: {
    status: 429,
    title: 'Too many requests',
    detail: 'The provider cannot accept any more requests at the moment. Please try again later.',
  },
  unexpected_error: { status: 500, title: 'Unexpected error', detail: 'Something went wrong.' },
  provider_error: {
    status: 500,
    title: 'Provider error',
    detail: 'The provider is experiencing operational problems. Please try again later.',
  },
  feature_not_implemented: { status: 501, title: 'Feature not implemented' },
  service_unavailable: {
    status: 503,
    title: 'Service unavailable',
    detail: 'Please try again later.',
  },
  request_timeout: {
    status: 504,
    title: 'Request timeout',
    detail: 'Request Timeout. Please try again, and if the issue persists, contact support.',
  },
} as const satisfies Record<string, ErrorFacts>;

export type ErrorName = keyof typeof CATALOGUE;

/** A request refused by a rule of the world. Nothing has happened on LinkedIn when it is thrown. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly body: ErrorBody;

  constructor(error: ErrorName, detail?: string) {
    const facts: ErrorFacts = CATALOGUE[error];
    super(`${facts.status} errors/${error}`);
    this.body = errorBody(facts.status, `errors/${error}`, facts.title, detail ?? facts.detail);
  }
}

/** Builds a body; `detail` is left out when there is none. */
export function errorBody(status: number, type: string, title: string, detail?: string): ErrorBody {
  return detail === undefined ? { status, type, title } : { status, type, title, detail };
}

/** Title and detail the real service uses with a type, for a fault that names only the type. */
export function factsOfType(type: string): { title: string; detail?: string } {
  const name = type.replace(/^errors\//, '');
  const facts: ErrorFacts | undefined = Object.hasOwn(CATALOGUE, name)
    ? CATALOGUE[name as ErrorName]
    : undefined;
  if (facts === undefined) {
    const words = name.replaceAll('_', ' ');
    return { title: words.charAt(0).toUpperCase() + words.slice(1) };
  }
  return facts.detail === undefined ? { title: facts.title } : { title: facts.title, detail: facts.detail };
}

export { bearerTokenOf, isSameSecret, nameOfToken } from './tokens.ts';
export {
  areSigningSecrets,
  isSigningSecret,
  SignatureError,
  type SignatureErrorKind,
  type SignedHeaders,
  type SignedTrigger,
  signedHeaders,
  signTrigger,
  TRIGGER_CHECK,
  TriggerBody,
  triggerId,
  verifyTrigger,
} from './trigger.ts';

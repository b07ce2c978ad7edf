export { bearerTokenOf, isSameSecret, nameOfToken } from './tokens.ts';
export {
  isSigningSecret,
  SignatureError,
  type SignatureErrorKind,
  type SignedTrigger,
  signTrigger,
  TriggerBody,
  triggerId,
  verifyTrigger,
} from './trigger.ts';

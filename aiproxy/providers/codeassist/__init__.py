"""
Google's Code Assist API, on which geminicli and antigravity are built.

Request   POST {base}/v1internal:generateContent, :streamGenerateContent?alt=sse, :countTokens
          {model, project, request: {contents, ...}} and fields that each api_type has of its own
Reply     {response: {candidates, usageMetadata, ...}, traceId}, streamed the same in each event
Project   POST {base}/v1internal:loadCodeAssist, else :onboardUser until its operation is done
Login     OAuth 2.0 at Google, access tokens of an hour
Error     Google's, with reasons of its own in `details`

`answers` takes the envelope off, `errors` reads what Google says of limits, `login` renews tokens,
`project` finds the project that is billed, `provider` joins them.

Sources: packages/core/src/code_assist of gemini-cli (Apache-2.0); what gateways report of
antigravity, whose API is not documented.
"""

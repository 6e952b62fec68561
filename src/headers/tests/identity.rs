//! Who asks, as proxies tell their APIs: nobody's to say but ours.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::super::{Credential, Policy, clean_trailers};
use super::outbound::{check, policy};

/// What proxies of all kinds put before the APIs behind them.
const SAID_BY_PROXIES: &[&str] = &[
    "Remote-User",
    "Remote-Groups",
    "Remote-Name",
    "Remote-Email",
    "X-Remote-User",
    "Impersonate-User",
    "Impersonate-Group",
    "Impersonate-Extra-Scopes",
    "X-Azure-SocketIP",
    "X-Credential-Username",
    "OAM-REMOTE-USER",
    "SM-UNIVERSALID",
    "SMUSER",
    "X-Remote-Group",
    "X-Remote-Groups",
    "X-Remote-Uid",
    "X-Remote-Extra-Scopes",
    "X-Auth-Request-User",
    "X-Auth-Request-Access-Token",
    "X-WEBAUTH-USER",
    "X-WebAuth-Anything",
    "X-Amzn-Oidc-Identity",
    "X-Amzn-Oidc-Data",
    "X-Amzn-Mtls-Clientcert-Subject",
    "X-Goog-Authenticated-User-Email",
    "X-Goog-Authenticated-User-Id",
    "X-Goog-IAP-JWT-Assertion",
    "X-Endpoint-API-UserInfo",
    "X-Apigateway-Api-Userinfo",
    "Cf-Access-Authenticated-User-Email",
    "Cf-Access-Jwt-Assertion",
    "Tailscale-User-Login",
    "Tailscale-User-Name",
    "Tailscale-App-Capabilities",
    "Client-Cert",
    "Client-Cert-Chain",
    "Ssl-Client-Verify",
    "Ssl-Client-Subject-DN",
    "X-SSL-Client-Verify",
    "X-SSL-Client-CN",
    "X-SSL-Cert",
    "X-SSL-DN",
    "X-SSL-Issuer",
    "X-Client-DN",
    "X-Client-Verify",
    "X-Client-Subject-DN",
    "X-TLS-Client-Subject",
    "Cf-Client-Cert-Sha256",
    "X-AppEngine-User-Email",
    "X-AppEngine-Inbound-Appid",
    "X-AppEngine-QueueName",
    "X-JWT-Assertion",
    "X-Verified-User",
    "X-Client-Cert",
    "X-Client-Certificate",
    "X-ARR-ClientCert",
    "X-Forwarded-Client-Cert",
    "X-Forwarded-User",
    "X-MS-CLIENT-PRINCIPAL",
    "X-MS-CLIENT-PRINCIPAL-NAME",
    "X-MS-Token-AAD-Id-Token",
    "X-Authenticated-User",
    "X-Authenticated-Userid",
    "X-Authenticated-Scope",
    "X-Consumer-ID",
    "X-Consumer-Username",
    "X-Consumer-Custom-ID",
    "X-Consumer-Groups",
    "X-Credential-Identifier",
    "X-Anonymous-Consumer",
    "X-Pomerium-Jwt-Assertion",
    "X-Pomerium-Claim-Email",
    "X-Authentik-Username",
    "X-Vouch-User",
    "X-Token-User-Email",
    "X-Userinfo",
    "OIDC-Claim-Sub",
    "Shib-Session-ID",
    "SM-User",
    "IV-User",
    "IV-Groups",
    "IV-Creds",
    "Fly-Src",
    "Fly-Src-Signature",
];

/// What makes a server run another operation.
const OTHER_OPERATIONS: &[&str] = &[
    "X-HTTP-Method",
    "X-HTTP-MethodOverride",
    "X-HTTP-Method-Override",
    "X-Method-Override",
    "X-Original-Method",
    "X-Original-URL",
    "X-Original-URI",
    "X-Original-Path",
    "X-Rewrite-URL",
    "X-Override-URL",
    "X-Middleware-Subrequest",
    "X-Middleware-Rewrite",
];

#[test]
fn what_other_proxies_say_of_the_client_is_not_the_client_s_to_say() {
    for name in SAID_BY_PROXIES.iter().chain(OTHER_OPERATIONS) {
        for underscores in [false, true] {
            let none = Policy {
                underscores,
                ..policy("authorization", Credential::Nothing)
            };
            for twin in ["-", "_", "."] {
                check(&format!("{}: root", name.replace('-', twin)), &none, "");
            }
            // The last hyphen alone: what a server folds need not be written alike.
            if let Some((start, end)) = name.rsplit_once('-') {
                check(&format!("{start}_{end}: root"), &none, "");
            }
        }
    }
}

#[test]
fn nor_in_trailers() {
    for name in SAID_BY_PROXIES.iter().chain(OTHER_OPERATIONS) {
        for name in [(*name).to_owned(), name.replace('-', "_")] {
            let field = HeaderName::from_bytes(name.as_bytes()).unwrap();
            let trailers = HeaderMap::from_iter([(field, HeaderValue::from_static("root"))]);
            assert!(clean_trailers(&trailers, None).is_empty(), "{name}");
        }
    }
}

#[test]
fn what_apis_take_as_their_parameters_goes_on() {
    let client = "X-User: 1
        X-User-Id: 1
        X-User-Email: 1
        X-Username: 1
        X-Auth-Token: 1
        X-Auth-Key: 1
        X-Auth-Email: 1
        X-Auth-User: 1
        X-Access-Token: 1
        X-Amzn-Trace-Id: 1
        X-Amz-Target: 1
        X-Goog-User-Project: 1
        X-Goog-Api-Key: 1
        X-MS-Client-Request-Id: 1
        X-MS-Version: 1
        X-Client-Version: 1
        X-Client-Id: 1
        X-Client-Name: 1
        X-Hasura-Role: 1
        X-Consumer-Key: 1
        X-Tenant-Id: 1
        X-Token: 1
        X-Token-Type: 1
        X-SSL: 1
        X-Remote: 1
        X-Original-Filename: 1
        X-Http-Status: 1
        Cf-Ray: 1
        Client-Id: 1
        Client-Version: 1
        Remote: 1
        Ssl: 1
        Oidc: 1
        Tailscaled: 1
        Fly-Prefer-Region: 1
        Fly-Replay-Src: 1";
    check(
        client,
        &policy("authorization", Credential::Nothing),
        client,
    );
}

#[test]
fn who_brings_his_own_credential_says_whom_it_speaks_for() {
    let client = "Authorization: Bearer mine\nImpersonate-User: jane";
    check(client, &policy("authorization", Credential::Pass), client);
    check(
        client,
        &policy("authorization", super::outbound::own("authorization")),
        "Authorization: own",
    );
}

#[test]
fn the_configuration_may_use_such_a_name() {
    // As the header of the client's credential, and for what the API gets in its place.
    check(
        "X-Auth-Request-User: t\nX-Remote-User: root",
        &policy("x-auth-request-user", Credential::Pass),
        "X-Auth-Request-User: t",
    );
    check(
        "X-Remote-User: root",
        &policy("authorization", super::outbound::own("x-remote-user")),
        "X-Remote-User: own",
    );
}

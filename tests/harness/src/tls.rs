//! TLS in front of a plain server, with a certificate authority that exists only for the test.

use std::{error::Error, net::SocketAddr, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer},
};

/// A server that terminates TLS and passes the content on; it ends when it is dropped.
pub struct TlsServer {
    /// Where it listens: `https://localhost:…`.
    pub url: String,
    /// The authority that signed its certificate, as PEM.
    pub authority: String,
    _server: JoinSet<()>,
}

impl TlsServer {
    /// Starts one in front of a server.
    ///
    /// # Errors
    ///
    /// No port is free, or no certificate could be made.
    pub async fn start(behind: SocketAddr) -> Result<Self, Box<dyn Error>> {
        let authority_key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&authority_key)?.pem();
        let issuer = Issuer::new(params, authority_key);
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(vec!["localhost".to_owned()])?.signed_by(&key, &issuer)?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der())?,
            )?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("https://localhost:{}", listener.local_addr()?.port());
        let mut server = JoinSet::new();
        server.spawn(serve(listener, TlsAcceptor::from(Arc::new(config)), behind));
        Ok(Self {
            url,
            authority,
            _server: server,
        })
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, behind: SocketAddr) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        connections.spawn(async move {
            // A client that doesn't trust the certificate closes the connection.
            let mut outer = acceptor.accept(stream).await?;
            let mut inner = TcpStream::connect(behind).await?;
            copy_bidirectional(&mut outer, &mut inner).await
        });
    }
}

"""Networks that recognise seven facial expressions on 48x48 grey faces."""

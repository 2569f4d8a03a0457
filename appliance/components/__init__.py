"""What a component is: the ports it satisfies and the resources it is handed. No component lives here."""
